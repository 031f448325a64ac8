"""All features' pictures on one plane, each near those that it is alike."""
