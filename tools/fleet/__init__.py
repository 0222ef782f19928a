"""A whole fleet on one machine: Ray, Redis, two gateways, a balancer, and people who speak meanwhile."""
