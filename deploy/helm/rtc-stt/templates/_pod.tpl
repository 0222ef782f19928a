{{/* What a container may do: nothing but its work. */}}
{{- define "rtc-stt.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{/* A role's container. */}}
{{- define "rtc-stt.container" -}}
{{- $values := .root.Values -}}
{{- $it := index $values .role -}}
{{- $secret := include "rtc-stt.secret" .root -}}
name: {{ .role }}
image: {{ include "rtc-stt.image" . | quote }}
imagePullPolicy: {{ $values.image.pullPolicy }}
command: [rtc-stt, {{ include "rtc-stt.command" . }}]
args: [--log-format, json, --log-level, info]
ports:
  - { name: http, containerPort: {{ include "rtc-stt.port" . }}, protocol: TCP }
envFrom:
  - configMapRef: { name: {{ include "rtc-stt.fullname" .root }}-{{ .role }} }
{{- $names := dict "gateway" (list "FALLBACK_API_KEY" "TURN_SECRET" "TOKEN_SECRET" "WEBHOOK_SECRET" "TWILIO_AUTH_TOKEN" "SIP_USERS") "primary" (list "FALLBACK_API_KEY") }}
{{- /* What it cannot do without. */}}
{{- $needed := list }}
{{- if eq .role "gateway" }}
{{- if $values.sharing.enabled }}{{ $needed = append $needed "REDIS_URL" }}{{ end }}
{{- if $values.workers.enabled }}{{ $needed = append $needed "WORKERS_KEY" }}{{ end }}
{{- end }}
{{- $shares := and (eq .role "gateway") $values.sharing.enabled }}
{{- $byNode := and (eq .role "gateway") (eq $values.gateway.media.publicIp "hostIP") (ne $values.gateway.media.mode "pod") }}
{{- if or $byNode $shares (and $secret (hasKey $names .role)) }}
env:
  {{- if $shares }}
  # Under which the other gateways reach this one. An address of IPv6 is written in brackets; who listens on :: has one.
  - name: POD_IP
    valueFrom: { fieldRef: { fieldPath: status.podIP } }
  - name: NODE_URL
    value: {{ printf (ternary "http://[$(POD_IP)]:%s" "http://$(POD_IP):%s" (contains "::" (include "rtc-stt.config" .))) (include "rtc-stt.port" .) | quote }}
  {{- end }}
  {{- if $byNode }}
  - name: PUBLIC_IP
    valueFrom: { fieldRef: { fieldPath: status.hostIP } }
  {{- end }}
  {{- if $secret }}
  {{- range get $names .role }}
  - name: {{ . }}
    valueFrom: { secretKeyRef: { name: {{ $secret }}, key: {{ . }}, optional: true } }
  {{- end }}
  {{- range $needed }}
  - name: {{ . }}
    valueFrom: { secretKeyRef: { name: {{ $secret }}, key: {{ . }} } }
  {{- end }}
  {{- end }}
{{- end }}
resources:
  {{- $resources := deepCopy $it.resources }}
  {{- if $it.gpu }}
  {{- $_ := set $resources "limits" (merge (dict $values.gpu.resource 1) (default dict $resources.limits)) }}
  {{- end }}
  {{- toYaml $resources | nindent 2 }}
# The port opens when the models are warm.
startupProbe:
  httpGet: { path: /v1/health, port: http }
  periodSeconds: 5
  failureThreshold: {{ div (add $values.probes.startupSeconds 4) 5 }}
readinessProbe:
  httpGet: { path: /v1/ready, port: http }
  periodSeconds: {{ $values.probes.readinessPeriodSeconds }}
  timeoutSeconds: 2
  failureThreshold: 2
livenessProbe:
  httpGet: { path: /v1/health, port: http }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: {{ div (add $values.probes.livenessSeconds 9) 10 }}
{{- if gt (int $values.preStopSeconds) 0 }}
lifecycle:
  # Serves on while it is taken out of the Services; only then SIGTERM, at which it refuses what is new.
  preStop: { sleep: { seconds: {{ $values.preStopSeconds }} } }
{{- end }}
securityContext: {{- include "rtc-stt.confined" . | nindent 2 }}
volumeMounts:
  {{- if not (include "rtc-stt.remote" .) }}
  - { name: models, mountPath: /models, readOnly: true }
  {{- end }}
  - { name: tmp, mountPath: /tmp }
  {{- if $secret }}
  - { name: keys, mountPath: /etc/rtc-stt, readOnly: true }
  {{- end }}
  {{- if eq .role "gateway" }}
  - { name: state, mountPath: /var/lib/rtc-stt }
  {{- end }}
{{- end }}

{{/* Fetches the models that have a source, and gives each the name by which it is asked for. */}}
{{- define "rtc-stt.fetch" -}}
{{- $values := .root.Values -}}
{{- $is := . -}}
{{- range $model := ternary list (index $values .role).models (not (empty (include "rtc-stt.remote" .))) -}}
{{- with (index $values.models $model).source }}
- name: fetch-{{ $model }}
  image: {{ include "rtc-stt.image" $is | quote }}
  imagePullPolicy: {{ $values.image.pullPolicy }}
  command: [sh, -euc]
  args:
    - folder=$(rtc-stt models fetch --no-progress --into /models "$1"); ln -sfn "$folder" "/models/$2"
    - fetch
    - {{ . | quote }}
    - {{ $model }}
  env:
    # Where models by name are kept.
    - { name: HF_HOME, value: /models/.cache }
  resources: {{- toYaml $values.models.resources | nindent 4 }}
  securityContext: {{- include "rtc-stt.confined" $is | nindent 4 }}
  volumeMounts:
    - { name: models, mountPath: /models }
    - { name: tmp, mountPath: /tmp }
{{- end }}
{{- end }}
{{- end }}

{{- define "rtc-stt.volumes" -}}
{{- $values := .root.Values -}}
{{- $fetches := include "rtc-stt.fetch" . | trim -}}
{{- if not (include "rtc-stt.remote" .) }}
- name: models
  {{- if $values.models.claim }}
  persistentVolumeClaim: { claimName: {{ $values.models.claim }}, readOnly: {{ empty $fetches }} }
  {{- else }}
  emptyDir: { sizeLimit: {{ $values.models.size }} }
  {{- end }}
{{- end }}
{{- if ne .role "workers" }}
- name: tmp
  emptyDir: { medium: Memory, sizeLimit: 256Mi }
{{- with include "rtc-stt.secret" .root }}
- name: keys
  secret:
    secretName: {{ . }}
    # 0440
    defaultMode: 288
    {{- $items := list (dict "key" (include "rtc-stt.keys" $) "path" "keys") }}
    {{- if and (eq $.role "gateway") $values.sharing.enabled $values.sharing.ca }}
    {{- $items = append $items (dict "key" "redis-ca" "path" "redis-ca") }}
    {{- end }}
    items: {{- toYaml $items | nindent 6 }}
{{- end }}
{{- end }}
{{- if eq .role "gateway" }}
- name: state
  {{- if $values.gateway.usage.claim }}
  persistentVolumeClaim: { claimName: {{ $values.gateway.usage.claim }} }
  {{- else }}
  emptyDir: { sizeLimit: 256Mi }
  {{- end }}
{{- end }}
{{- end }}

{{/* Spread over zones, and over nodes as far as it goes. */}}
{{- define "rtc-stt.spread" -}}
{{- $hard := eq (index .root.Values .role).spread "hard" -}}
{{- range $key, $when := dict "topology.kubernetes.io/zone" (ternary "DoNotSchedule" "ScheduleAnyway" $hard) "kubernetes.io/hostname" "ScheduleAnyway" }}
- topologyKey: {{ $key }}
  maxSkew: 1
  whenUnsatisfiable: {{ $when }}
  matchLabelKeys: [pod-template-hash]
  labelSelector:
    matchLabels: {{- include "rtc-stt.selector" $ | nindent 6 }}
{{- end }}
{{- end }}

{{- define "rtc-stt.pod" -}}
{{- $values := .root.Values -}}
{{- $it := index $values .role -}}
serviceAccountName: {{ include "rtc-stt.fullname" .root }}
automountServiceAccountToken: false
# Variables of Services would be read as configuration: one called sip would set SIP_PORT.
enableServiceLinks: false
{{- if and (eq .role "gateway") (eq $values.gateway.media.mode "hostNetwork") }}
hostNetwork: true
dnsPolicy: ClusterFirstWithHostNet
{{- end }}
# The sleep before the end, the drain, and 20 s.
terminationGracePeriodSeconds: {{ add (int $values.preStopSeconds) (int (ceil $values.drainSeconds)) 20 }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
{{- with $values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $it.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- if and $it.gpu $values.gpu.runtimeClassName }}
runtimeClassName: {{ $values.gpu.runtimeClassName }}
{{- end }}
{{- with include "rtc-stt.fetch" . | trim }}
initContainers:
  {{- . | nindent 2 }}
{{- end }}
containers:
  - {{ include "rtc-stt.container" . | nindent 4 | trim }}
volumes: {{- include "rtc-stt.volumes" . | nindent 2 }}
{{- with $it.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat $it.tolerations (ternary $values.gpu.tolerations list $it.gpu) }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $it.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
# Pods of the version before do not count, or a rolling update would make it uneven.
topologySpreadConstraints: {{- include "rtc-stt.spread" . | trim | nindent 2 }}
{{- end }}
