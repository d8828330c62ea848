"""Runs the published endpoint cases of AWS's SDKs.

The argument is a folder with sagemaker-runtime-endpoint-tests.json and
sts-endpoint-tests.json, as botocore has them.  Of errors only the fact is
compared.  Where the caller gives a URL, no host is chosen: that, and what cannot
stand beside a URL, is shown by sql/servers.sql.
"""
import json
import os
import subprocess
import sys

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                       'build', 'endpoint_stdin')
SERVICES = ['sagemaker-runtime', 'sts']


def question(service, params):
    return ' '.join([service, '%d' % params.get('UseFIPS', False),
                     '%d' % params.get('UseDualStack', False),
                     params.get('Region', '')])


def wanted(case):
    """The answer, or its first word."""
    endpoint = case['expect'].get('endpoint')
    if endpoint is None:
        return 'refused'
    schemes = endpoint.get('properties', {}).get('authSchemes', [{}])
    return 'ok %s %s' % (endpoint['url'].removeprefix('https://'),
                         schemes[0].get('signingRegion', case['params']['Region']))


def main():
    cases = []
    for service in SERVICES:
        path = os.path.join(sys.argv[1], service + '-endpoint-tests.json')
        with open(path) as f:
            cases += [(service, case) for case in json.load(f)['testCases']]
    questions = [question(service, case.get('params', {})) for service, case in cases]
    answers = subprocess.run([PROGRAM], input='\n'.join(questions) + '\n',
                             stdout=subprocess.PIPE, text=True,
                             check=True).stdout.splitlines()
    counts = {'passed': 0, 'failed': 0, 'skipped': 0}
    for n, ((service, case), got) in enumerate(zip(cases, answers, strict=True), 1):
        name = '%s: %s' % (service, case['documentation'])
        if 'Endpoint' in case.get('params', {}):
            counts['skipped'] += 1
            print('ok %d - %s # SKIP a URL is given' % (n, name))
            continue
        want = wanted(case)
        passed = got == want or want == 'refused' and got.startswith('refused ')
        counts['passed' if passed else 'failed'] += 1
        print('%s %d - %s' % ('ok' if passed else 'not ok', n, name))
        if not passed:
            print('# got %r, want %r' % (got, want))
    print('%(passed)d passed, %(failed)d failed, %(skipped)d skipped' % counts)
    return counts['failed'] > 0 or counts['passed'] == 0


sys.exit(main())
