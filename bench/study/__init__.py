"""What is measured of studies."""
