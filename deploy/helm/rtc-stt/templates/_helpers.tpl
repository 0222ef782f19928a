{{/* Names. Everything of a release begins with this one. */}}
{{- define "rtc-stt.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* The roles that are wanted, as JSON {"all": [...]}, in the order in which they are told. */}}
{{- define "rtc-stt.roles" -}}
{{- $wanted := list -}}
{{- range $role := list "gateway" "primary" "fallback" -}}
{{- if (index $.Values $role).enabled -}}{{- $wanted = append $wanted $role -}}{{- end -}}
{{- end -}}
{{- dict "all" $wanted | toJson -}}
{{- end }}

{{/* What follows gets {root, role}. */}}
{{- define "rtc-stt.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end }}

{{- define "rtc-stt.labels" -}}
{{ include "rtc-stt.selector" . }}
app.kubernetes.io/part-of: rtc-stt
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "rtc-stt.port" -}}
{{- get (dict "gateway" "8080" "primary" "8081" "fallback" "8082") .role -}}
{{- end }}

{{- define "rtc-stt.command" -}}
{{- get (dict "gateway" "serve" "primary" "primary" "fallback" "fallback") .role -}}
{{- end }}

{{- define "rtc-stt.image" -}}
{{- $image := .root.Values.image -}}
{{- with $image.registry }}{{ trimSuffix "/" . }}/{{ end -}}
rtc-stt-{{ .role }}:{{ default .root.Chart.AppVersion $image.tag }}
{{- if (index .root.Values .role).gpu }}-cuda{{ end -}}
{{- end }}

{{/* The Secret's name; empty where there is none. */}}
{{- define "rtc-stt.secret" -}}
{{- if .Values.secrets.existing -}}
{{- .Values.secrets.existing -}}
{{- else if .Values.secrets.data -}}
{{- include "rtc-stt.fullname" . -}}
{{- end -}}
{{- end }}

{{/* The entry of the Secret that is a role's file of keys. */}}
{{- define "rtc-stt.keys" -}}
{{- if eq .role "fallback" }}fallback-keys{{ else }}keys{{ end -}}
{{- end }}

{{/* Not empty for a role that has no model of its own. */}}
{{- define "rtc-stt.remote" -}}
{{- if and (eq .role "gateway") .root.Values.workers.enabled }}yes{{ end -}}
{{- end }}

{{/* What a role is told, as YAML: its own keys over those of all over what the chart says. */}}
{{- define "rtc-stt.config" -}}
{{- $it := index .root.Values .role -}}
{{- $told := dict "HOST" "0.0.0.0" -}}
{{- if $it.gpu -}}{{- $_ := set $told "DEVICE" "cuda" -}}{{- end -}}
{{- $told = mergeOverwrite $told (deepCopy .root.Values.config) (deepCopy $it.config) -}}
{{- $_ := set $told "PORT" (include "rtc-stt.port" .) -}}
{{- $_ := set $told "DRAIN_SECONDS" .root.Values.drainSeconds -}}
{{- if include "rtc-stt.secret" .root -}}
{{- $_ := set $told "API_KEYS_FILE" "/etc/rtc-stt/keys" -}}
{{- end -}}
{{- $remote := not (empty (include "rtc-stt.remote" .)) -}}
{{- range $model := ternary list $it.models $remote -}}
{{- $_ := set $told (printf "CT2_%s_PATH" (upper $model)) (printf "/models/%s" $model) -}}
{{- end -}}
{{- if and (has .role (list "gateway" "primary")) (not (and $remote (gt (int .root.Values.workers.accurate.max) 0))) -}}
{{- with include "rtc-stt.fallbackUrl" .root -}}{{- $_ := set $told "FALLBACK_URL" . -}}{{- end -}}
{{- end -}}
{{- if $remote -}}
{{- $_ := set $told "ENGINE" (printf "ray://%s-workers:8000" (include "rtc-stt.fullname" .root)) -}}
{{- end -}}
{{- if and (eq .role "gateway") .root.Values.sharing.enabled -}}
{{- if .root.Values.sharing.ca -}}{{- $_ := set $told "REDIS_CA" "/etc/rtc-stt/redis-ca" -}}{{- end -}}
{{- end -}}
{{- if eq .role "gateway" -}}
{{- $_ := set $told "UDP_PORT_RANGE" $it.media.ports -}}
{{- $_ := set $told "USAGE_DB" "/var/lib/rtc-stt/usage.db" -}}
{{- if and $it.media.publicIp (ne $it.media.publicIp "hostIP") -}}
{{- $_ := set $told "PUBLIC_IP" $it.media.publicIp -}}
{{- end -}}
{{- end -}}
{{- range $key, $value := $told }}
{{ $key }}: {{ include "rtc-stt.text" $value | quote }}
{{- end -}}
{{- end }}

{{/* A value as text. Numbers of values files are floats, and large ones would come out as 1e+06. */}}
{{- define "rtc-stt.text" -}}
{{- $whole := false -}}
{{- if kindIs "float64" . }}{{ $whole = eq (float64 (int64 .)) . }}{{ end -}}
{{- if $whole }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- end }}

{{/* The Service by two names. A pod that drains refuses on the connections that are kept to it, and the Service then counts
as busy for seconds; by its other name there are none, and a new one leads to a pod that is ready. */}}
{{- define "rtc-stt.fallbackUrl" -}}
{{- if .Values.fallback.enabled -}}
{{- $host := printf "%s-fallback" (include "rtc-stt.fullname" .) -}}
http://{{ $host }}:8082,http://{{ $host }}.{{ .Release.Namespace }}:8082
{{- else -}}
{{- .Values.fallback.externalUrl -}}
{{- end -}}
{{- end }}

{{/* First and last port of media, as JSON [first, last]. */}}
{{- define "rtc-stt.ports" -}}
{{- $ends := splitList "-" .Values.gateway.media.ports -}}
{{- list (int (first $ends)) (int (last $ends)) | toJson -}}
{{- end }}

{{/* First and last port of replicas, likewise. */}}
{{- define "rtc-stt.replicaPorts" -}}
{{- $ends := splitList "-" .Values.workers.ports -}}
{{- list (int (first $ends)) (int (last $ends)) | toJson -}}
{{- end }}
