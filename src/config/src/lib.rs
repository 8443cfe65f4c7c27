//! prometheus.yml: structures, defaults, validation.
