"""Human Motion Diffusion from scratch."""
