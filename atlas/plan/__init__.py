"""What to make: layers, targets, recipes, configuration and jobs. Standard library only."""
