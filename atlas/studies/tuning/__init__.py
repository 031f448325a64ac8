"""What each feature responds to: its tuning to drawn stimuli, in curves and words."""
