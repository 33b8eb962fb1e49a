"""A record becomes a page that people read. Nothing here touches an engine or a lab."""
