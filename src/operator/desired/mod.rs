//! What a mail system needs in the cluster: pure functions from `Validated` to Kubernetes objects.
