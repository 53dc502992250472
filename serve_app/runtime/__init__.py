"""Starting and stopping the online door on this machine or on a cluster."""
