{{/* What a schema cannot say. */}}
{{- define "rtc-stt.check" -}}
{{- $gateway := .Values.gateway -}}
{{- $roles := (include "rtc-stt.roles" . | fromJson).all -}}
{{- range $role := $roles -}}
{{- $it := index $.Values $role -}}
{{- $open := or (get $it.config "ALLOW_OPEN") (get $.Values.config "ALLOW_OPEN") | toString -}}
{{- if and (not (include "rtc-stt.secret" $)) (ne $open "true") -}}
{{- fail (printf "%s has no keys: name a Secret in secrets.existing, or set config.ALLOW_OPEN" $role) -}}
{{- end -}}
{{- with $.Values.secrets.data -}}
{{- $file := include "rtc-stt.keys" (dict "role" $role) -}}
{{- if not (get . $file) -}}{{- fail (printf "secrets.data has no %s, which %s needs" $file $role) -}}{{- end -}}
{{- end -}}
{{- range $model := ternary list $it.models (not (empty (include "rtc-stt.remote" (dict "root" $ "role" $role)))) -}}
{{- if not (or $.Values.models.claim (index $.Values.models $model).source) -}}
{{- fail (printf "%s needs the model %s: set models.%s.source, or models.claim" $role $model $model) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $gateway.enabled -}}
{{- $many := or $gateway.autoscaling.enabled (gt (int $gateway.replicas) 1) -}}
{{- $ports := include "rtc-stt.ports" . | fromJsonArray -}}
{{- $count := sub (index $ports 1) (index $ports 0) | add 1 -}}
{{- if lt $count 1 -}}{{- fail "gateway.media.ports: the last port is below the first" -}}{{- end -}}
{{- if and $gateway.usage.claim $many -}}
{{- fail "gateway.usage.claim is for one gateway: each writes a USAGE_DB of its own" -}}
{{- end -}}
{{- $turn := or (get $gateway.config "TURN_URL") (get .Values.config "TURN_URL") -}}
{{- if and $turn .Values.secrets.data (not .Values.secrets.data.TURN_SECRET) -}}
{{- fail "secrets.data.TURN_SECRET: TURN_URL needs it" -}}
{{- end -}}
{{- if and $many .Values.secrets.data (not .Values.secrets.data.TOKEN_SECRET) -}}
{{- fail "secrets.data.TOKEN_SECRET: without it a token of one gateway is none at the others" -}}
{{- end -}}
{{- if eq $gateway.media.mode "service" -}}
{{- if $many -}}{{- fail "gateway.media.mode service is for one gateway: a Service would mix their packets" -}}{{- end -}}
{{- if gt $count 200 -}}{{- fail "gateway.media.ports: a Service of more than 200 ports is too much" -}}{{- end -}}
{{- if eq $gateway.media.serviceType "NodePort" -}}
{{- if or (lt (int (index $ports 0)) 30000) (gt (int (index $ports 1)) 32767) -}}
{{- fail "gateway.media.ports: a NodePort is within 30000-32767" -}}
{{- end -}}
{{- else if or (not $gateway.media.publicIp) (eq $gateway.media.publicIp "hostIP") -}}
{{- fail "gateway.media.publicIp: set the balancer's address" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (eq $gateway.media.mode "hostNetwork") (or (has "fallback" $roles) .Values.workers.enabled) (not .Values.networkPolicy.nodeCidrs) -}}
{{- fail "networkPolicy.nodeCidrs: a gateway with hostNetwork asks fallback and workers from its node's address" -}}
{{- end -}}
{{- if .Values.sharing.enabled -}}
{{- if not (include "rtc-stt.secret" .) -}}{{- fail "sharing: REDIS_URL has to be in a Secret (secrets.existing)" -}}{{- end -}}
{{- if and .Values.secrets.data (not .Values.secrets.data.TOKEN_SECRET) -}}{{- fail "secrets.data.TOKEN_SECRET: gateways that share know keys by names made with it" -}}{{- end -}}
{{- if and .Values.secrets.data (not .Values.secrets.data.REDIS_URL) -}}{{- fail "secrets.data.REDIS_URL: sharing needs it" -}}{{- end -}}
{{- if and .Values.networkPolicy.enabled (ne $gateway.media.mode "hostNetwork") (not .Values.networkPolicy.redis) -}}
{{- fail "networkPolicy.redis: name the peers that Redis is, or gateways do not reach it" -}}
{{- end -}}
{{- else if eq (toString (or (get $gateway.config "RESUME_ACROSS_NODES") (get .Values.config "RESUME_ACROSS_NODES"))) "true" -}}
{{- fail "config.RESUME_ACROSS_NODES: it needs sharing.enabled" -}}
{{- end -}}
{{- if and $gateway.ingress.enabled (not $gateway.ingress.host) -}}
{{- fail "gateway.ingress.host is missing" -}}
{{- end -}}
{{- end -}}
{{- with .Values.workers -}}
{{- if .enabled -}}
{{- if not (include "rtc-stt.secret" $) -}}{{- fail "workers: WORKERS_KEY has to be in a Secret (secrets.existing)" -}}{{- end -}}
{{- if and $.Values.secrets.data (not $.Values.secrets.data.WORKERS_KEY) -}}{{- fail "secrets.data.WORKERS_KEY: workers need it" -}}{{- end -}}
{{- if gt (len (include "rtc-stt.fullname" $)) 39 -}}{{- fail "fullnameOverride: with workers a name has 39 characters at most, for what KubeRay adds" -}}{{- end -}}
{{- range $tier := list .fast .accurate -}}
{{- if gt (int $tier.min) (int $tier.max) -}}{{- fail "workers: a tier's min is above its max" -}}{{- end -}}
{{- end -}}
{{- if and (gt (int .accurate.max) 0) (lt (int .accurate.min) 1) -}}{{- fail "workers.accurate.min: one replica at least, or max 0" -}}{{- end -}}
{{- if lt (int .fast.min) 1 -}}{{- fail "workers.fast.min: one replica at least" -}}{{- end -}}
{{- if gt (int .nodes.min) (int .nodes.max) -}}{{- fail "workers.nodes: min is above max" -}}{{- end -}}
{{- if and (or (float64 .fast.gpus) (float64 .accurate.gpus)) (not .gpu) -}}{{- fail "workers.gpu: replicas want a GPU, and pods have none" -}}{{- end -}}
{{- range $model := .models -}}
{{- if not (or $.Values.models.claim (index $.Values.models $model).source) -}}
{{- fail (printf "workers need the model %s: set models.%s.source, or models.claim" $model $model) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not $roles -}}{{- fail "no role is enabled" -}}{{- end -}}
{{- if and .Values.secrets.existing .Values.secrets.data -}}
{{- fail "secrets.existing and secrets.data are one too many" -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled (ne (empty .Values.serviceMonitor.keySecret.name) (empty .Values.serviceMonitor.keySecret.key)) -}}
{{- fail "serviceMonitor.keySecret: name and key belong together" -}}
{{- end -}}
{{- end }}
