"""How far the pictures of an atlas can be believed: what several checks say of them."""
