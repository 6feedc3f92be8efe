"""The HTTP server: one event loop thread that runs what cannot block, two pools of threads for what waits."""
