#!/bin/sh
# Starts the broker in a container: fills in server.properties, formats the storage once, then becomes the broker.
# KAFKA_HOST and KAFKA_PORT are what clients connect to; KAFKA_SECRETS holds superuser.secret and controller.secret.
set -eu
umask 077
here=$(dirname "$0")
settings=$KAFKA_DATA/server.properties
superuser_password=$(cat "$KAFKA_SECRETS/superuser.secret")
controller_password=$(cat "$KAFKA_SECRETS/controller.secret")
sed -e "s|\${listen}|0.0.0.0|g" -e "s|\${host}|$KAFKA_HOST|g" -e "s|\${port}|$KAFKA_PORT|g" -e "s|\${advertised_port}|$KAFKA_PORT|g" \
    -e "s|\${controller_port}|$((KAFKA_PORT + 1))|g" -e "s|\${superuser}|broker|g" -e "s|\${superuser_password}|$superuser_password|g" \
    -e "s|\${controller_password}|$controller_password|g" -e "s|\${data}|$KAFKA_DATA/log|g" "$here/server.properties" > "$settings"
log="-Dlog4j2.configurationFile=$here/log4j2.yaml"
if [ ! -f "$KAFKA_DATA/log/meta.properties" ]; then
    java -Xmx128m "$log" -cp "$KAFKA_LIBS/*" kafka.tools.StorageTool format -t aHViLXN0YWNrLWthZmthMA -c "$settings" --standalone \
        --add-scram "SCRAM-SHA-512=[name=broker,password=$superuser_password]"
fi
exec java -Xms256m -Xmx512m "$log" -cp "$KAFKA_LIBS/*" kafka.Kafka "$settings"
