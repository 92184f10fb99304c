-- Deliveries that are done with are deleted when they are old; nothing else of webhooks ever is.

grant delete on webhooks.delivery, webhooks.attempt to lattice_app;
