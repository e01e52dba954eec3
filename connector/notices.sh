#!/bin/sh
# Gathers the licences of all modules that the engine is linked from: `sh notices.sh FOLDER`, in the engine's folder.
set -eu
into=$1
go list -deps -f '{{with .Module}}{{if .Version}}{{.Path}}@{{.Version}} {{.Dir}}{{end}}{{end}}' . | sort -u |
    while read -r module source; do
        mkdir -p "$into/$module"
        find "$source" -maxdepth 1 -type f \( -iname 'licen[cs]e*' -o -iname 'copying*' -o -iname 'notice*' \) \
            -exec cp {} "$into/$module/" \;
        # An empty folder cannot be removed only when it is none: a module without a licence is not to be shipped unseen.
        if rmdir "$into/$module" 2>/dev/null; then
            echo "$module has no licence file" >&2
            exit 1
        fi
    done
chmod -R u+w,a+rX "$into"
