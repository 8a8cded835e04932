"""What the integration tests are made of: processes, registries, clients and a scripted upstream. See README.md."""
