"""The kit that pages are made with: store → static pages. Loads without torch, and imports no study."""
