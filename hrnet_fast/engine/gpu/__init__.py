"""From a Plan to launches on a GPU: where values lie, how levels are tiled, and the CUDA graph around them."""
