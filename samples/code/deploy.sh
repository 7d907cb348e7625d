#!/bin/sh
# Copies the built site to the test server. The key below is an invented one, planted for the personal-data tests.
set -eu

AWS_ACCESS_KEY_ID="AKIAIOSFODNN7EXAMPLE"
TARGET="${1:-staging}"

if [ ! -d build ]; then
    echo "build the site first: make site" >&2
    exit 1
fi

for page in build/*.html; do
    echo "checking $page"
    grep -q '</html>' "$page" || { echo "$page is cut off" >&2; exit 1; }
done

rsync --archive --delete build/ "$TARGET:/var/www/site/"
echo "published to $TARGET; questions to webmaster@altiplano-site.example"
