#!/usr/bin/env bash
# Installs the telephones and exchanges of tests/interop: `install_peers.sh baresip pjsip` takes a minute,
# `install_peers.sh asterisk` makes a Debian of its own (800 MB, three minutes, as root) because the exchange is in no
# release that this platform is tested on.
set -euo pipefail
cd "$(dirname "$0")/../.."

folder="build/peers"
sudo=""; [ "$(id -u)" = 0 ] || sudo="sudo"
mkdir -p "$folder"

for peer in "${@:-baresip}"; do
  case "$peer" in
    baresip)
      command -v baresip >/dev/null ||
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends baresip-core ;;
    pjsip)
      [ -x "$folder/pjsip/bin/python" ] || "${PYTHON:-python3}" -m venv "$folder/pjsip"
      "$folder/pjsip/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: \
        pjsua2-python==2.15.1.post1 ;;
    asterisk)
      command -v debootstrap >/dev/null ||
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap
      [ -x "$folder/asterisk/usr/sbin/asterisk" ] ||
        $sudo debootstrap --variant=minbase --include=asterisk sid "$PWD/$folder/asterisk" ;;
    *) echo "$peer: choose from baresip, pjsip and asterisk" >&2; exit 2 ;;
  esac
done
