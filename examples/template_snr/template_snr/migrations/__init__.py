"""The table of template_snr, version by version; astra init applies what is missing, in this order."""
