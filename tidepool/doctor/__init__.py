"""`tidepool doctor`: what is wrong with this machine and with the deployment, and what to do."""
