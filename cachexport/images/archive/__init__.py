"""Archives of images, from `docker save` or of OCI image layouts: read and written."""
