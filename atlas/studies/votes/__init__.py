"""What makes a class: the features of Mixed_7c that vote for it and against it, exactly."""
