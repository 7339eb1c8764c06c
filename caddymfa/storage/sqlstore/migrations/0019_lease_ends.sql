-- Every node that starts holds a lease of its own, so those that ended are swept.
CREATE INDEX leases_by_end ON leases (until_at);
