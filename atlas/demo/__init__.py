"""Pictures that the project draws itself: a class and a seed → labelled pictures. Needs torch."""
