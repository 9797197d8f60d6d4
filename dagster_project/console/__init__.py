"""The console: pages that show what `verify` computes and pull the levers that `loopctl` pulls."""
