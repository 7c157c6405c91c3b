"""What the native CPU executor is made of: choice of kernels, packed weights, compiled plans."""
