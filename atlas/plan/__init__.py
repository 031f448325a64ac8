"""The plan of an atlas: configuration, recipes and jobs. No torch."""
