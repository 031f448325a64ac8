"""Which features' pictures are alike."""
