"""What the renderings show: pictures, records and, where said so, the network → findings in the store."""
