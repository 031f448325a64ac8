"""What studies found, as data: frozen dataclasses that studies fill and pages show."""
