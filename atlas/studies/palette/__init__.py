"""The first layer's kernels and the colours of their renderings."""
