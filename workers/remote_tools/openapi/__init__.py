"""Operations of an HTTP API, read from its OpenAPI document."""
