"""Charts as inline SVG, from numbers alone: light and dark by the page's colours, no script."""
