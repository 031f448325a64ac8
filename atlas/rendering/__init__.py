"""Making renderings: weights → frozen network → gradient descent on the input → store. Needs torch."""
