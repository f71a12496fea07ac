# SPDX-License-Identifier: MIT
# fish completion: asks `novacore complete` with the words before the cursor.
function __novacore_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l program (string replace -r '^~' $HOME -- $words[1])
    set -l replies ($program complete $words[2..-1] "$word" 2>/dev/null)
    if test "$replies[1]" = :files
        __fish_complete_path (string replace -r '^--[a-z-]*=' '' -- "$word")
    else
        printf '%s\n' $replies
    end
end
complete -c novacore -f -a '(__novacore_complete)'
