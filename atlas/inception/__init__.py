"""The network as data: its architecture, its layers and the target notation. Standard library only."""
