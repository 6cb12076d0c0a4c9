# shellcheck shell=bash
# Fencing: the agent that makes sure that a lost primary is off. Runs after the database role.

need iproute2 python3-pyvmomi
need_user perenne-fencing /nonexistent
install_files

systemctl enable --quiet perenne-fencing
if changed /etc/systemd/system/perenne-fencing.service /usr/local/lib/perenne/fencing/ /etc/perenne/fencing/; then
    systemctl restart perenne-fencing
else
    systemctl start perenne-fencing
fi
done_with_files
