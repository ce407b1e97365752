"""What a server does with its queue: drivers as Ray jobs, started, stopped and started again."""
