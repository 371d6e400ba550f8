"""The pages of the project, and ``site``, which makes a site of them."""
