# shellcheck shell=bash
# Fencing: the agent that makes sure that a lost primary is off. Runs after the database role.

need iproute2
need_user perenne-fencing /nonexistent
install_files
need_release pyvmomi

systemctl enable --quiet perenne-fencing
if changed /etc/systemd/system/perenne-fencing.service /usr/local/lib/perenne/fencing/ /usr/local/share/perenne/pyvmomi.txt \
    /etc/perenne/fencing/; then
    systemctl restart perenne-fencing
else
    systemctl start perenne-fencing
fi
done_with_files
