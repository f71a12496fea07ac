# SPDX-License-Identifier: MIT
# bash completion: asks `novacore complete` with the words before the cursor.
_novacore() {
  local line=${COMP_LINE:0:COMP_POINT} words word kept reply replies
  read -ra words <<<"$line"
  # "novacore " is followed by an empty word
  [[ $line == *[[:space:]] ]] && words+=('')
  word=${words[${#words[@]} - 1]}
  mapfile -t replies < <("${words[0]/#\~/$HOME}" complete "${words[@]:1}" 2>/dev/null)
  COMPREPLY=()
  if [ "${replies[0]:-}" = :files ]; then
    [[ $word == --*=* ]] && word=${word#*=}
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
    compopt -o filenames 2>/dev/null
    return
  fi
  # bash replaces only what is after the last of its separators
  kept=
  [[ $COMP_WORDBREAKS == *=* && $word == *=* ]] && kept=${word%=*}=
  for reply in "${replies[@]}"; do
    reply=${reply%%$'\t'*}
    COMPREPLY+=("${reply#"$kept"}")
  done
  [[ ${#COMPREPLY[@]} -gt 0 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
}
complete -F _novacore novacore
