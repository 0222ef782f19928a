"""The chart ``deploy/helm/rtc-stt``: what is written for it, and Helm's own library."""
