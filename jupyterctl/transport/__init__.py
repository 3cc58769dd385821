"""What several kinds share: processes, tmux, launch scripts."""
