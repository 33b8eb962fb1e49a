"""docker-proxy: the process beside the firewall rules."""
