"""Where tasks go: resources, ports and constraints of hosts, and the pass that assigns what is pending."""
