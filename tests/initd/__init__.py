"""OpenWrt's side of the scripts in init.d/: what they call, and programs that tell what was called."""
