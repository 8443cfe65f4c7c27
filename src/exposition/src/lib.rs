//! Text exposition formats: parse what targets serve, write what this server serves.
