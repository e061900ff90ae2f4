"""Programs that run inside the router. Each prints one JSON line at its end, and reads the kernel by itself."""
